"""What all tests here share."""

import pytest

pytest.register_assert_rewrite("liveshop.connect.contract")
