"""A plain Streamlit chat page without sessions, to compare what a crowd costs."""

import streamlit as st

st.title("Plain")
st.chat_input("Ask anything")
with st.sidebar:
    st.selectbox("Model", ["One", "Two"])
    st.button("New chat")
for number in range(5):
    st.chat_message("user").text(f"Question {number}")
    st.chat_message("assistant").markdown(f"Answer {number}")
