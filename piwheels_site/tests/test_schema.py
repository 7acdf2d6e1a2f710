"""The database has what the models say: a migration can lose a rule without a word."""

import pytest
from django.apps import apps
from django.db import connection

OURS = [model for app in ("packages", "builds", "simple") for model in apps.get_app_config(app).get_models()]


@pytest.mark.embedded
@pytest.mark.django_db
@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_constraint_and_index_of_a_model_is_in_the_database(model):
    with connection.cursor() as cursor:
        there = connection.introspection.get_constraints(cursor, model._meta.db_table)

    declared = [*model._meta.constraints, *model._meta.indexes]
    assert {each.name for each in declared} <= there.keys()
