"""`growset explore`: a page of plain files on which one browses real, accepted and rejected images.

`rows` collects what is known of each image, `siblings` finds each training image's nearest other one, `columns` and
`sheets` write values and thumbnails in pieces that the page loads when it needs them, and `page` puts all together.
The page itself is page-files/.
"""
