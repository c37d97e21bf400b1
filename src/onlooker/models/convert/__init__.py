"""Turns published weights into forms that the inference engines read, without the frameworks that wrote them."""
