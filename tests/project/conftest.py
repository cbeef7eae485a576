from tests.integration.conftest import admin, server, template, url  # noqa: F401  the same databases
