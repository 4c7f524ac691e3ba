# SPDX-License-Identifier: MIT
"""The closed-form federation: frozen features and a ridge head, from which a client is subtracted exactly."""
