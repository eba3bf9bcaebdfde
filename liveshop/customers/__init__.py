"""The people who watch and buy: guests, customers a storefront vouches for, their consent."""
