"""Remove what the options don't need, make deployment.sh executable, show the next steps."""

import runpy
import shutil
from pathlib import Path

if "<< cookiecutter.ci >>" != "GitHub Actions":
    shutil.rmtree(".github")
    Path("infra/github.yml").unlink()
    Path("docs/github.md").unlink()

if "<< cookiecutter.sign_in >>" == "none":
    Path("docs/sign-in.md").unlink()

if "<< cookiecutter.network >>" != "new VPC":
    Path("infra/private.yml").unlink()

Path("deployment.sh").chmod(0o755)  # a zip file of the template loses this

region = "<< cookiecutter.aws_region >>"
reached = runpy.run_path("deployment/vpc_origins.py")["REGIONS"]
if "<< cookiecutter.use_cloudfront >>" == "True" and region not in reached:
    print(f"""
CloudFront may not reach load balancers in {region}. AWS says whether it does in "Restrict access
with VPC origins". If so, add the region to deployment/vpc_origins.py; if not, start again with
another region, or without CloudFront.""")

print(f"""
Your chatbot is in {Path.cwd().name}. To open it in the browser:

  cd {Path.cwd().name}
  python3 dev.py run

README.md explains how to deploy it to AWS.
""")
