"""`<cluster>/cluster.yaml` files, as operators of many hubs keep them: what is in one, not since when."""

from pathlib import PurePosixPath
from typing import Any

import yaml

from kpi_pipeline.contracts import HUB_REGISTRY

FIELDS = ("display_name", "domain", "helm_chart", "hubspot_deal_id", "community", "hub_type", "environment", "kind")

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# No registry is as deep or, with its aliases written out, as large; what is would end the process, not only the parser.
MAX_DEPTH, MAX_NODES = 50, 200_000


def parse(name: str, content: bytes) -> list[dict[str, str | None]]:
    """The hubs of one cluster.yaml, one dict per hub with the registry's columns.

    Args:
        name: the file's name in its folder; the cluster's name is taken from it where the file has none.

    Raises:
        ValueError: it isn't YAML, or isn't shaped like a cluster.yaml.
    """
    try:
        _refuse_if_it_unfolds(content)
        document = yaml.load(content, Loader=LOADER)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError("not YAML") from error
    if not isinstance(document, dict) or not isinstance(document.get("hubs"), list):
        raise ValueError("no list 'hubs'")
    cluster = _text(document.get("name")) or PurePosixPath(name).parent.name
    if not cluster:
        raise ValueError("a cluster without a name")
    return [_hub(cluster, document.get("provider"), hub) for hub in document["hubs"]]


def _refuse_if_it_unfolds(content: bytes) -> None:
    """Counts nodes by the parser's events, which needs no recursion; an alias counts as what it stands for.

    Raises:
        ValueError: the document is too deep or too large.
    """
    sizes: dict[str | None, int] = {}
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(content, Loader=LOADER):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, 1))
            if len(open_nodes) > MAX_DEPTH:
                raise ValueError("nested too deeply")
            continue
        elif isinstance(event, yaml.AliasEvent):
            anchor, size = None, sizes.get(event.anchor, MAX_NODES)
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        above, total = open_nodes[-1]
        open_nodes[-1] = (above, total + size)
        if total + size > MAX_NODES:
            raise ValueError("too large, with its aliases written out")


def _hub(cluster: str, provider: Any, hub: Any) -> dict[str, str | None]:
    hub_name = _text(hub.get("name")) if isinstance(hub, dict) else None
    if hub_name is None:
        raise ValueError("a hub without a name")
    values = {field: _text(hub.get(field)) for field in FIELDS}
    for column in HUB_REGISTRY.columns:
        if column.values and (values[column.name] or column.values[0]).lower() not in column.values:
            raise ValueError(f"a {column.name} that is none of {', '.join(column.values)}")
    return {"cluster": cluster, "provider": _text(provider), "hub": hub_name, **values}


def _text(value: Any) -> str | None:
    return str(value).strip() or None if value is not None else None
