"""Wire formats: pure codecs, a client side and a server side of each."""
