"""How the pages become a site: ``make docs``."""

from importlib import metadata

project = "graphpoison"
author = "graphpoison developers"
release = metadata.version("graphpoison")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # equations without anything fetched from elsewhere
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]

# Pages are plain Markdown that GitHub shows too: no fences with colons, dollars around equations.
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3

# Notebooks are kept without outputs, and run at every build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_output_stderr = "remove"
nb_execution_raise_on_error = True
nb_execution_timeout = 600

autodoc_default_options = {"members": True}
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False

# Third parties, whose references are left unresolved: their inventories would have to be fetched.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(collections\.abc|matplotlib|numpy|os|pandas|pathlib|scipy|torch|torch_geometric)\..*",
    ),
    ("py:.*", r"(np|pd|nn|torch)\..*"),
    # Not public.
    ("py:class", r"(graphpoison\.victims\.named\.VictimLike|(graphpoison\._mailbox\.)?Mailbox)"),
    # Names that annotations and docstrings use for them.
    (
        "py:class",
        r"(AllPairsLoss|Data|DataFrame|Figure|Hashable|HeteroData|Module|Path|PathLike|Tensor|csr_matrix)",
    ),
    ("py:(class|exc)", r"RankError"),
    ("py:class", r"graphpoison\._ranks\.T"),
    # Type variables, and private classes of the package.
    (
        "py:class",
        r"graphpoison\.(sparse\.(factored\.ResidualTerm|low_rank|sparse_product)"
        r"|perturbation\.Graph|training\.optimizers\.InnerOptimizer"
        r"|models\.base\.Structure|training\.prepared\.Structure|tasks\.base\.P)\b.*",
    ),
]

html_theme = "furo"
html_title = f"graphpoison {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False


def setup(app):
    app.connect("autodoc-process-signature", without_factories)


def without_factories(app, what, name, obj, options, signature, returns):
    """``<factory>``, a default that is made anew for each object, is no Python to Sphinx."""
    return signature and signature.replace("<factory>", "..."), returns
