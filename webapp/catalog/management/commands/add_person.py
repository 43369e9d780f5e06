"""Let somebody into the admin."""

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand

from webapp.catalog.mistakes import Mistake, mistakes_as_one_line
from webapp.catalog.roles import ROLES, give_role


class Command(BaseCommand):
    """The first administrator comes by this command; there is no default password."""

    help = "Add a person, or change their role and password. The password is asked for, or read from standard input."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who and what."""
        parser.add_argument("name")
        parser.add_argument("--role", choices=list(ROLES), default="administrator")

    @mistakes_as_one_line
    def handle(self, *args: Any, **options: Any) -> None:
        """Add."""
        person = User.objects.filter(username=options["name"]).first() or User(username=options["name"])
        password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        try:
            person.full_clean(exclude=["password"])
            validate_password(password, person)
        except ValidationError as wrong:
            raise Mistake(" ".join(wrong.messages)) from wrong
        person.set_password(password)
        person.is_staff = True
        person.save()
        give_role(person, options["role"])
        self.stdout.write(f"{person.username} may now sign in at /admin/ as {options['role']}")
