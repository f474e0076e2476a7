#!/usr/bin/env bash
# Deploys the chatbot to AWS and operates it there: ./deployment.sh --help
# The program is deployment/. It runs in the environment that dev.py makes.
exec python3 "$(dirname "${BASH_SOURCE[0]}")/dev.py" deployment "$@"
