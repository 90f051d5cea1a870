"""An archive of inspection films: what is in it, inspected film by film, held against a person."""
