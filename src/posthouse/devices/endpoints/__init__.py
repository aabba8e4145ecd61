"""The endpoints of devices, one module each, named as the specification names them."""
