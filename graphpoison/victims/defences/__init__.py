"""Node classifiers that defend themselves: mended graphs, and robust layers."""
