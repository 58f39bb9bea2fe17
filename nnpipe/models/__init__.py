"""Networks: layers, architecture, scaling, and the torch network made of them."""
