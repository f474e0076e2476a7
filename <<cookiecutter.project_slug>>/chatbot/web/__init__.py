"""Middleware: what stands between the browsers and Streamlit."""
