import unittest

from leap import is_leap


class LeapTest(unittest.TestCase):
    def test_odd_year_is_common(self):
        self.assertIs(is_leap(2021), False)

    def test_even_year_not_divisible_by_4_is_common(self):
        self.assertIs(is_leap(1994), False)

    def test_year_divisible_by_4_is_leap(self):
        self.assertIs(is_leap(2024), True)

    def test_century_is_common(self):
        self.assertIs(is_leap(1900), False)

    def test_fourth_century_is_leap(self):
        self.assertIs(is_leap(2000), True)
