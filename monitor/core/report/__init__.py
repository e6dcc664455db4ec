"""Reports: what people are told of counts, repairs and cutoffs, and what more labels would buy."""
