"""The page on which a person reviews a survey: keys, pictures, the film, outlines to correct.

records.py  what the page knows of each record, which comes first, and its outline
film.py     the film beside a survey, in ranges for a browser, else as single pictures
app.py      what is answered, and what a verdict may say
page/       the page
"""
