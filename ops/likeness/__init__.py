"""How alike two small images are, and which image is a copy of which.

`copies` measures how near images come to real ones, `likeness` finds the most similar of many images in three steps,
`descriptors` holds what is stored of an image, `gratings` the constant matrices, and `screening` and `registration`
the first and the last step. A mirrored and slightly darker copy is near its original, another picture is not:

>>> import torch
>>> from ops.likeness.copies import fit_references, measure_copies
>>> seeded = torch.Generator().manual_seed(0)
>>> small = torch.rand(9, 1, 4, 4, generator=seeded)  # 9 pictures of smooth blobs, 28 x 28 pixels
>>> blobs = torch.nn.functional.interpolate(small, size=(28, 28), mode="bicubic").clamp(0, 1)
>>> real, stranger = (255 * blobs[:8]).to(torch.uint8), (255 * blobs[8:]).to(torch.uint8)
>>> copy = (0.9 * real[3:4].flip(-1)).to(torch.uint8)
>>> found = measure_copies(fit_references(real), torch.cat([copy, stranger]))
>>> int(found.nearest[0]), bool(found.exact[0])
(3, False)
>>> bool(found.distance[0] < 0.1 < 0.5 < found.distance[1])  # 1 is as far apart as real images lie
True
"""
