"""Remove what the chosen options don't need, and say how to go on."""

import shutil
from pathlib import Path

if "<< cookiecutter.ci >>" != "GitHub Actions":
    shutil.rmtree(".github")
    Path("infra/github.yml").unlink()

print(f"""
Your chatbot is in {Path.cwd().name}. To see it in the browser:

  cd {Path.cwd().name}
  python3 dev.py run

README.md tells how to deploy it to AWS.
""")
