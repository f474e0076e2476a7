"""The parts of the chatbot; start reading at streamlit_app.py, which server.py serves."""
