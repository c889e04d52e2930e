"""Meta-gradient poisoning attacks on graphs and recommenders, on PyTorch Geometric.

The names of ``__init__.pyi`` are imported when they are first used: ``import graphpoison`` loads
neither PyTorch nor anything else.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
