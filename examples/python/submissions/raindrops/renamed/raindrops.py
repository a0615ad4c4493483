# The passing solution in other words: its representation is the same.
NOISES = {
    3: "Pling",
    5: "Plang",
    7: "Plong",
}


def convert(n):
    return "".join(noise for divisor, noise in NOISES.items() if n % divisor == 0) or str(n)
