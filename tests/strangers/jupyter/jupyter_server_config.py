"""JupyterLab as it is deployed for a department: TLS, one host name, a password, nothing fetched from elsewhere."""

import os

from jupyter_server.auth.security import passwd

c = get_config()  # noqa: F821  given by Jupyter
folder = os.environ["LAB_FOLDER"]

c.ServerApp.ip = "127.0.0.1"
c.ServerApp.port = int(os.environ["LAB_PORT"])
c.ServerApp.port_retries = 0
c.ServerApp.certfile = f"{folder}/chain.pem"
c.ServerApp.keyfile = f"{folder}/key.pem"
c.ServerApp.root_dir = f"{folder}/notebooks"
c.ServerApp.open_browser = False
c.ServerApp.allow_root = True
# A request that names another host is refused, and so are an Origin or a Referer of elsewhere.
c.ServerApp.allow_remote_access = False
c.ServerApp.local_hostnames = [os.environ["LAB_HOST"]]
c.PasswordIdentityProvider.hashed_password = passwd(os.environ["LAB_PASSWORD"])
c.PasswordIdentityProvider.password_required = True
c.IdentityProvider.token = ""
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
