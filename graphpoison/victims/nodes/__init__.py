"""Node classifiers as victims: any module, and the usual graph neural networks by name."""
