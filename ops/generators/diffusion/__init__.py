"""Stable Diffusion and unCLIP, which learnt elsewhere: opened from a folder of diffusers, fine-tuned, drawn with.

They draw large images in torch and export no graph. Their weights are the user's and stay where they are.
"""
