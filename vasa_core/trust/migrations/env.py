"""Runs the migrations on the connection that the store hands over, inside its transaction."""

from __future__ import annotations

from typing import Any

from alembic import context

from vasa_core.trust.schema import Moment, metadata


def _rendered(kind: str, item: Any, autogenerate: Any) -> Any:
    """New migrations spell our moments in SQLAlchemy's own words: a migration outlives the code of its day."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    render_item=_rendered,
    render_as_batch=True,  # SQLite alters a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
