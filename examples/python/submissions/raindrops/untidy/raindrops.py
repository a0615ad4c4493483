import math, sys

def convert(number, sounds=[]):
    sounds = []
    factors = [3, 5, 7]
    names = ["Pling", "Plang", "Plong"]
    for i in range(len(factors)):
        try:
            if math.fmod(number, factors[i]) == 0:
                sounds.append(names[i])
        except:
            return None
    if (len(sounds) == 0) == True:
        return str(number)
    return "".join(sounds)
