"""Deploys the chatbot to AWS and operates it there: `./deployment.sh --help`.

A verb is a module of `verbs`. Below them, each module knows one thing: the stacks, the image, the
rollout, a one-off task, the checks before a deployment.
"""
