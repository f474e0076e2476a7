"""Remove what the chosen options don't need, make the script a program, say how to go on."""

import shutil
from pathlib import Path

if "<< cookiecutter.ci >>" != "GitHub Actions":
    shutil.rmtree(".github")
    Path("infra/github.yml").unlink()

Path("deployment.sh").chmod(0o755)  # a template that came as a zip has lost that

print(f"""
Your chatbot is in {Path.cwd().name}. To see it in the browser:

  cd {Path.cwd().name}
  python3 dev.py run

README.md tells how to deploy it to AWS.
""")
