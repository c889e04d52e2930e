"""Node classifiers as victims: any module, and common graph neural networks by name."""
