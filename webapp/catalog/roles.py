"""Who may do what: merchandisers change the catalogue, administrators everything."""

from django.contrib.auth.models import Group, Permission, User

# Per role, the permissions as app.codename; None for all.
ROLES: dict[str, tuple[str, ...] | None] = {
    "merchandiser": (
        "catalog.view_product", "catalog.add_product", "catalog.change_product", "catalog.delete_product",
        "catalog.view_historicalproduct", "catalog.view_correction", "catalog.view_job",
    ),
    "administrator": None,
}  # fmt: skip


def give_role(person: User, role: str) -> None:
    """Put a person into one role and out of the others."""
    permissions = ROLES[role]
    person.is_superuser = permissions is None
    person.groups.remove(*Group.objects.filter(name__in=ROLES))
    if permissions is not None:
        group, _ = Group.objects.get_or_create(name=role)
        codenames = [p.partition(".")[2] for p in permissions]
        group.permissions.set(Permission.objects.filter(content_type__app_label="catalog", codename__in=codenames))
        person.groups.add(group)
    person.save()
