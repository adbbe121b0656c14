"""The risk of death in hospital with COVID-19, from laboratory values: inputs, model, extractor."""
