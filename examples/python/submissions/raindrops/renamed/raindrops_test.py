import unittest

from raindrops import convert


class RaindropsTest(unittest.TestCase):
    def test_number_without_a_sound(self):
        self.assertEqual(convert(34), "34")

    def test_factor_3(self):
        self.assertEqual(convert(9), "Pling")

    def test_factor_5(self):
        self.assertEqual(convert(25), "Plang")

    def test_factor_7(self):
        self.assertEqual(convert(49), "Plong")

    def test_factors_3_and_7(self):
        self.assertEqual(convert(21), "PlingPlong")

    def test_all_factors(self):
        self.assertEqual(convert(105), "PlingPlangPlong")
