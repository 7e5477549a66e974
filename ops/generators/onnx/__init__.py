"""ONNX graphs of generators: written, simplified, made faster, run, and compared with torch."""
