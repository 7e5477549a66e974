"""Pipelines of diffusers that learnt elsewhere: Stable Diffusion and unCLIP, opened from a folder, fine-tuned, drawn with.

They draw large images in torch and export no graph. Their weights are the user's and stay where they are.
"""
