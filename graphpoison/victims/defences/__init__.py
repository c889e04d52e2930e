"""Node classifiers with a defence: a purified graph, or robust layers."""
