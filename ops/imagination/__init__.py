"""Guided imagination: new images from a seed image that keep its class and add information.

After GIF (Zhang et al. 2023, "Expanding Small-Scale Datasets with Guided Imagination", arXiv 2211.13976). A prior, a
generator that learnt elsewhere, encodes the seed image into a latent f. Each of its K variants draws a small
perturbation of f, and a scorer's opinion of the decoded image says in which direction the perturbation should go:

    f' = P( (1 + z) · f + b ),    z ~ U(0, 1),  b ~ N(0, 1)          perturbation, projection
    S(z, b) = λ_con s'_j + λ_ent (H(s') - H(s)) + λ_div D(f'_1..f'_K)  criteria
    (z, b) <- argmax S, in N steps                                     ascent, guide
    x' = decode(f')                                                    imagining

The formulas fit on a page; what decides whether they help is everything that the formulas leave open: where the score
is taken, who is in the group, which class is kept, what the clamp leaves over. These choices are data here
(`presets`), so that the release, the paper and our corrections are three values of one type, and guided, random and
plain-prior images can be compared with every other factor equal.

    imagination = Imagination(prior, scorer, nest(CORRECTED), seed=0)
    check_gradients(imagination, images[:2], units[:2])
    for found in imagination.imagine(images, units, 20):
        found.images, found.before.total, found.after.total, found.clamped  # 20 of each

Start reading at `imagining`. The package knows tensors, a `Prior` and a `Scorer` (`protocols`); it knows no recipe, no
file and no network of its own.
"""
