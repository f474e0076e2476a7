"""The page: with streamlit_app.py, all that imports Streamlit."""
