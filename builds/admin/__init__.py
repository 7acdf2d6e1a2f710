"""The operators' door to the farm, one module for each thing that they decide about.

What is only recorded can be looked at and not edited; what an operator decides is done by the models' methods
and the functions of the other rooms, after a question that counts (`packages.admin_deeds`).
"""

from builds.admin import attempts, builders, counted, recipes, wanted, wheels

__all__ = ["attempts", "builders", "counted", "recipes", "wanted", "wheels"]
