import unittest

from two_fer import two_fer


class TwoFerTest(unittest.TestCase):
    def test_without_a_name(self):
        self.assertEqual(two_fer(), "One for you, one for me.")

    def test_with_a_name(self):
        self.assertEqual(two_fer("Amara"), "One for Amara, one for me.")

    def test_with_a_name_outside_ascii(self):
        self.assertEqual(two_fer("Zoë"), "One for Zoë, one for me.")
