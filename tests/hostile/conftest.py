"""Leaves out what takes minutes unless it is asked for."""


def pytest_collection_modifyitems(config, items):
    """Keep of the hostile packages the everyday ones, unless `-m` speaks of them."""
    if "hostile" in config.option.markexpr:
        return
    left_out = [
        item
        for item in items
        if item.get_closest_marker("hostile") and not item.get_closest_marker("everyday")
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
