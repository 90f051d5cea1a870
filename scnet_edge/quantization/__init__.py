"""INT8 that can be trusted: which frames calibrate it, which layers it hurts, what it may cost.

candidates -> chosen frames -> histograms -> ranges by the best method      `calibrate`
candidate precisions -> scores on annotated frames -> verdict -> what ships   `build --int8`
one layer at a time -> scores -> ranking                                    `sensitivity`
"""
