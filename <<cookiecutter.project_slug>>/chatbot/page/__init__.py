"""The page. With server.py, streamlit_app.py and sign_in.py, it is all that imports Streamlit."""
