"""The page: with server.py and streamlit_app.py, all that imports Streamlit."""
