"""ONNX graphs of generators: export, simplification, faster variants, execution, comparison with torch."""
