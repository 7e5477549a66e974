"""Kind `dcgan`: the convolutions of Radford et al. 2016, told of classes."""
