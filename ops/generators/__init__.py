"""Generators: train a flow, fold it into a directory, export it to ONNX, draw images from it."""
