"""Makes the database and its first administrator: `prepare.py LOGIN`, the password in SITE_PASSWORD."""

import os
import sys

import django
from django.core.management import call_command

django.setup()
call_command("migrate", verbosity=0)
call_command("check", "--deploy", "--fail-level", "ERROR")

from django.contrib.auth.models import User  # noqa: E402  after setup

User.objects.create_superuser(sys.argv[1], password=os.environ["SITE_PASSWORD"])
