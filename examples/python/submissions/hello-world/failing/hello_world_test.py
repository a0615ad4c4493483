import unittest

from hello_world import hello


class HelloWorldTest(unittest.TestCase):
    def test_greets_the_world(self):
        self.assertEqual(hello(), "Hello, World!")

    def test_greets_the_same_way_twice(self):
        self.assertEqual(hello(), hello())
